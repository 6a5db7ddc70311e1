/** The workflow that lets independent transactions of one type travel together, for those that are asked for often. */
import { groupOf } from 'temporal-txn/workflow';
import { transferMoney, transferMoneyAtomically } from './bank-transfer';
import { checkout } from './checkout';
import { processOrder } from './order-processing';

export const runGroup = groupOf({ transferMoney, transferMoneyAtomically, checkout, processOrder });
