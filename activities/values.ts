/**
 * The values that the services of this shop and its banks have in common, as zod schemas. Each has limits, so that what
 * passes here also passes the constraints of the databases, and each says in one sentence what it accepts.
 */
import { z } from 'zod';

/** Money in minor units: 1050 is EUR 10.50. Never a fraction, and never more than JSON carries exactly. */
export const Amount = wholeNumber(1, Number.MAX_SAFE_INTEGER, 'minor units');

const CURRENCIES = new Set(Intl.supportedValuesOf('currency'));
const CURRENCY_RULE = 'must be an ISO 4217 currency code such as EUR';

export const Currency = z
  .string({ error: CURRENCY_RULE })
  .refine((code) => CURRENCIES.has(code), { error: CURRENCY_RULE });

export const AccountId = matching(/^[A-Za-z0-9-]{1,64}$/, 'must be 1 to 64 characters of A-Z a-z 0-9 -');

export const OrderId = matching(/^[A-Z0-9-]{1,64}$/, 'must be 1 to 64 characters of A-Z 0-9 -');

/** An id that another service gave, in a form of its own. */
export const Reference = matching(/^[A-Za-z0-9-]{1,64}$/, 'must be 1 to 64 characters of A-Z a-z 0-9 -');

export const Uuid = z.guid({ error: 'must be a UUID' });

export const Item = z.strictObject({
  sku: matching(/^[A-Z0-9-]{1,32}$/, 'must be 1 to 32 characters of A-Z 0-9 -'),
  quantity: wholeNumber(1, 10_000, 'pieces'),
});
export type Item = z.infer<typeof Item>;

/** What is bought: each article once. */
export const Items = z
  .array(Item, { error: 'must be a list of 1 to 50 items' })
  .min(1, { error: 'must have 1 to 50 items' })
  .max(50, { error: 'must have 1 to 50 items' })
  .refine((items) => new Set(items.map(({ sku }) => sku)).size === items.length, { error: 'must name each sku once' })
  .readonly();

/** One line for people to read. PostgreSQL keeps no NUL character, and no other control character has a place in a line. */
export const line = (longest: number): z.ZodString =>
  matching(
    new RegExp(`^[^\\p{Cc}\\p{Cs}]{1,${longest}}$`, 'u'),
    `must be 1 to ${longest} characters without control characters`,
  );

export function matching(pattern: RegExp, rule: string): z.ZodString {
  return z.string({ error: rule }).regex(pattern, { error: rule });
}

export function wholeNumber(least: number, most: number, unit: string): z.ZodInt {
  const rule = `must be a whole number of ${unit} from ${least} to ${most}`;
  return z.int({ error: rule }).min(least, { error: rule }).max(most, { error: rule });
}
