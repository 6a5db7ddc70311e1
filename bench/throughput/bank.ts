/** A bank of the examples, whose movements can also be asked for one by one: so it shows what their set-based forms are worth. */
import { accounts } from '../../activities/accounts/operations';
import { defineParticipant } from '../../src/participant';
import type { Operation } from '../../src/participant';

const { debit, credit } = accounts.operations;

export const bank = defineParticipant('accounts', {
  ...accounts.operations,
  debitOneByOne: oneByOne(debit),
  creditOneByOne: oneByOne(credit),
});

function oneByOne<I, R>(operation: Operation<I, R, 'compensatable'>): Operation<I, R, 'compensatable'> {
  const alone = { ...operation };
  delete alone.executeMany;
  return alone;
}
