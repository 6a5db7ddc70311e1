/** The process of one bank's participant. */
import { runService } from '../../activities/worker-main';
import { bank } from './bank';

runService(bank);
