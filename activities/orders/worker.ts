import { runService } from '../worker-main';
import { orders } from './operations';

runService(orders);
