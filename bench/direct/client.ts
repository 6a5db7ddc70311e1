/** The caller's side of the process that makes transfers without a coordinator. */
import type { Transfer } from '../transfer';

export interface DirectRequest {
  readonly id: string;
  readonly transfer: Transfer;
}

/** The two parts of an answer. */
export const DECIDED = 'decided\n';
export const DONE = 'done\n';

/** @param decided called when the first part of the answer has come */
export async function askForTransfer(url: string, request: DirectRequest, decided: () => void): Promise<void> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(request) });
  let answer = '';
  let heard = false;
  for await (const chunk of response.body ?? []) {
    answer += Buffer.from(chunk as Uint8Array).toString();
    if (!heard && answer.startsWith(DECIDED)) {
      heard = true;
      decided();
    }
  }
  if (answer !== DECIDED + DONE) throw new Error(`The transfer ${request.id} failed: see the log of the process.`);
}
