/** What is recorded: each workflow with each of its outcomes. */
import type { BranchScript } from '../saga-more/scripted';

export interface RecordedCase {
  /** Name of the file, and the transaction id. */
  readonly name: string;
  readonly workflow: string;
  readonly input: unknown;
  /** By branch; under `<branch>@1` that of the transaction inside. */
  readonly scripts: Readonly<Record<string, BranchScript>>;
  /** Done while the case runs. `cancel`: once this branch has begun. `retry`: once this branch is held. */
  readonly then?: { readonly kind: 'cancel' | 'retry'; readonly branch: string };
}

const items = [{ sku: 'tea', quantity: 2 }];
const bill = { total: 900, currency: 'EUR', card: 'tok_visa' };

/** Each workflow of the business with its branches, in order. */
const BUSINESS: readonly {
  readonly workflow: string;
  readonly input: unknown;
  readonly branches: readonly string[];
}[] = [
  {
    workflow: 'transferMoney',
    input: {
      from: { bank: 'north-bank', account: 'alice' },
      to: { bank: 'south-bank', account: 'bob' },
      amount: 1050,
      currency: 'EUR',
    },
    branches: ['north-bank.debit', 'south-bank.credit', 'audit.record'],
  },
  {
    workflow: 'processOrder',
    input: { order: 'order-1', customer: 'customer-1', items, ...bill, region: 'DE' },
    branches: ['orders.create', 'inventory.reserve', 'payments.charge', 'shipping.createShipment', 'orders.setStatus'],
  },
  {
    workflow: 'checkout',
    input: { order: 'order-2', customer: 'customer-1', email: 'alice@shop.example', items, ...bill },
    branches: ['inventory.reserve', 'payments.charge', 'orders.create'],
  },
];

const business = BUSINESS.flatMap(({ workflow, input, branches }): RecordedCase[] => {
  const [first, second] = branches;
  const last = branches.at(-1);
  if (first === undefined || second === undefined || last === undefined)
    throw new RangeError(`${workflow} is too short.`);
  const one = (outcome: string, scripts: RecordedCase['scripts'], then?: RecordedCase['then']): RecordedCase => ({
    name: `${workflow}-${outcome}`,
    workflow,
    input,
    scripts,
    ...(then === undefined ? {} : { then }),
  });
  return [
    one('committed', {}),
    one('refused', { [second]: { execute: () => 'refuse' } }),
    one('failed', { [last]: { execute: () => 'break' } }),
    one('cancelled', {}, { kind: 'cancel', branch: second }),
    one(
      'held',
      {
        [first]: { compensate: (attempt) => (attempt === 1 ? 'break' : 'answer') },
        [last]: { execute: () => 'refuse' },
      },
      { kind: 'retry', branch: first },
    ),
  ];
});

const shape = (name: string, workflow: string, scripts: RecordedCase['scripts'] = {}): RecordedCase => ({
  name,
  workflow,
  input: null,
  scripts,
});
const refusing: BranchScript = { execute: () => 'refuse' };

export const CASES: readonly RecordedCase[] = [
  ...business,
  shape('pivot-committed', 'pivotAndTail'),
  shape('pivot-refused', 'pivotAndTail', { 'svc.second': refusing }),
  shape('pivot-asked', 'pivotAndTail', {
    'svc.second': { execute: (attempt) => (attempt === 1 ? 'lose-answer' : 'break') },
  }),
  shape('parallel-committed', 'parallel'),
  shape('parallel-refused', 'parallel', { right: refusing }),
  shape('parallel-refused-later', 'parallel', { 'svc.third': refusing }),
  shape('nested-committed', 'nested'),
  shape('nested-inner-refused', 'nested', { 'svc.second@1': refusing }),
  shape('nested-outer-refused', 'nested', { 'svc.third': refusing }),
];
