/** What a person needs to know of one transaction by what its workflow reports of it. */
import { isEnded } from '../../protocol';
import type { TransactionReport } from '../../protocol';
import { judgeInterrupted } from './verdict-alone';
import { judgeCommit } from './verdict-commit';
import { judgeSaga } from './verdict-saga';
import type { Found, Verdict } from './verdict-words';
import type { FoundWorkflow } from './workflow';

export function judgeReport(found: Found, workflow: FoundWorkflow, report: TransactionReport): Verdict {
  if (workflow.status !== 'RUNNING' && !isEnded(report)) return judgeInterrupted(found, workflow, report);
  return report.protocol === 'saga' ? judgeSaga(found, report) : judgeCommit(found, report);
}
