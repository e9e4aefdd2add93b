-- Names what is kept of dead letters beside failures: by when they died, and the stacks of the newest ones. Needs failures.
local dead, stacks = failures .. ':dead', failures .. ':stacks'
