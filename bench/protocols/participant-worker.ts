/** The process of one bank. */
import { runService } from '../../activities/worker-main';
import { bank } from './operations';

runService(bank);
