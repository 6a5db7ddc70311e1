/** The workflow that lets independent transactions of one type travel together, for those that are asked for often. */
import { groupOf } from 'temporal-txn/workflow';
import { transferMoney, transferMoneyAtomically } from './bank-transfer';

export const runGroup = groupOf({ transferMoney, transferMoneyAtomically });
