import { runService } from '../worker-main';
import { audit } from './operations';

runService(audit);
