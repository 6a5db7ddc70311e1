import { runService } from '../worker-main';
import { savings } from './operations';

runService(savings);
