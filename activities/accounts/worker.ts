import { runService } from '../worker-main';
import { accounts } from './operations';

/** Each bank runs this with a name and a database of its own. */
runService(accounts);
