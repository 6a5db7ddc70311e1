/** The unique id of a namespace: two Temporals may each have a `default`, and they are not the same. */
import { isGrpcServiceError } from '@temporalio/client';
import type { WorkflowService } from '@temporalio/client';

/** PERMISSION_DENIED and UNIMPLEMENTED: the server keeps it to itself, or has none. */
const NOT_TOLD: readonly number[] = [7, 12];

/** Asks for it. Undefined where the server does not tell. */
export async function namespaceIdOf(
  { workflowService }: { readonly workflowService: Pick<WorkflowService, 'describeNamespace'> },
  namespace: string,
): Promise<string | undefined> {
  try {
    const { namespaceInfo } = await workflowService.describeNamespace({ namespace });
    // An empty string is how protobuf says that there is none.
    return namespaceInfo?.id || undefined;
  } catch (error) {
    if (isGrpcServiceError(error) && NOT_TOLD.includes(error.code)) return undefined;
    throw error;
  }
}
