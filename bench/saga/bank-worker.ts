/** The process of one bank's participant: the one of the examples. */
import { runService } from '../../activities/worker-main';
import { accounts } from '../../activities/accounts/operations';

runService(accounts);
