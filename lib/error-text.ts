// What may be logged of an error.

/** An error's message, cut, and nothing of what ioredis or pg hang on it (arguments, passwords, rows). */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.length > 500 ? `${text.slice(0, 499)}…` : text
}
