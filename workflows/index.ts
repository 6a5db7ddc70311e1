/** The workflow types that the workers register: the business ones, the ready-made coordinator, and the one that runs groups. */
export { coordinateTwoPhaseCommit } from 'temporal-txn/workflow';
export { transferOnceApproved } from './approved-transfer';
export { transferMoney, transferMoneyAtomically, transferMoneyInThreePhases } from './bank-transfer';
export { bookTrip } from './book-trip';
export { checkout } from './checkout';
export { createOrder } from './create-order';
export { deliverEvent } from './deliver-event';
export { runGroup } from './group';
export { processOrder } from './order-processing';
export { saveMoney } from './save-money';
export { sellTrip } from './sell-trip';
