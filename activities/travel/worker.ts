import { runService } from '../worker-main';
import { travel } from './operations';

/** Each company runs this with a name and a database of its own. */
runService(travel);
