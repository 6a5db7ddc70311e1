/** An error as a row can hold it: PostgreSQL takes no NUL in a text, and others make the messages. */
const MOST_CHARACTERS = 2_000;

export function errorText(error: unknown): string {
  let text: string;
  try {
    text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    text = 'An error that cannot be shown.';
  }
  return text.replaceAll('\0', '').slice(0, MOST_CHARACTERS);
}
