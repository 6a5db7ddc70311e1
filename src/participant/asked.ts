/** Who is asked by the activity that runs now, and what: on its own task queue, or in the process of the coordinator. */
import { Context } from '@temporalio/activity';
import { askedBy } from '../protocol';

export function asked(): ReturnType<typeof askedBy> {
  const { activityType, taskQueue } = Context.current().info;
  return askedBy(activityType, taskQueue);
}
