import { runService } from '../worker-main';
import { payments } from './operations';

runService(payments);
