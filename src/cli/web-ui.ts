/** Addresses of the Temporal Web UI's list of workflows, each filtered by a query: to be bookmarked, or saved there as a view. */
import { InvalidArgument } from './errors';
import { PROTOCOLS, STATUS_QUERIES } from './list';

export interface View {
  readonly name: string;
  /** In Temporal's list filter. */
  readonly query: string;
  readonly url: string;
}

const HOUR_MS = 60 * 60 * 1000;

/**
 * The views worth having.
 *
 * @param webUi address of the Web UI, such as http://localhost:8233
 * @param now from when "last hour" is counted; the Web UI knows no moving time
 */
export function savedViews(webUi: URL, namespace: string, now = new Date()): View[] {
  const queries: readonly (readonly [string, string])[] = [
    ['held', STATUS_QUERIES.held],
    ['needs attention', 'TxnNeedsAttention = true'],
    ['overdue', STATUS_QUERIES.overdue],
    ['mixed', STATUS_QUERIES.mixed],
    ['compensated', STATUS_QUERIES.compensated],
    ['aborted', STATUS_QUERIES.aborted],
    ...PROTOCOLS.map((protocol) => [protocol, `TxnProtocol = '${protocol}'`] as const),
    ['failed', STATUS_QUERIES.failed],
    ['last hour', `StartTime > '${new Date(now.getTime() - HOUR_MS).toISOString()}'`],
  ];
  return queries.map(([name, query]) => ({ name, query, url: listUrl(webUi, namespace, query) }));
}

function listUrl(webUi: URL, namespace: string, query: string): string {
  const url = new URL(webUi);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  // %20, not +: it survives being copied into a terminal and into a chat.
  url.search = `?query=${encodeURIComponent(query).replaceAll("'", '%27')}`;
  return url.href;
}

/**
 * Reads the address of the Web UI.
 *
 * @throws {InvalidArgument}
 */
export function parseWebUi(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  if (!isPlain)
    throw new InvalidArgument(
      'the address of the Web UI',
      // Before an @ there may be a password, whether or not it is a URL.
      text.includes('@') ? '***' : text,
      'Give one such as http://localhost:8233 with --web-ui or TXN_WEB_UI, without user and password.',
    );
  return url;
}
