/** The process of one participant: those of the examples, each beside its own database. */
import { accounts } from '../../activities/accounts/operations';
import { audit } from '../../activities/audit/operations';
import { runService } from '../../activities/worker-main';

runService(process.env['SERVICE_NAME'] === 'audit' ? audit : accounts);
