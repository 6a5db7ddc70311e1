import { runService } from '../worker-main';
import { shipping } from './operations';

runService(shipping);
