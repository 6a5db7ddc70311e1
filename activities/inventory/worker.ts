import { runService } from '../worker-main';
import { inventory } from './operations';

runService(inventory, { tells: true });
