import { runService } from '../worker-main';
import { orderSummaries } from './history';
import { orders } from './operations';

runService(orders, { tells: true, projections: [orderSummaries] });
