/** The workflow types that the workers register. */
export { transferMoney } from './bank-transfer';
export { checkout } from './checkout';
export { processOrder } from './order-processing';
