/** What was typed is no command of ours: exit status 2. */
export class UsageError extends Error {}
