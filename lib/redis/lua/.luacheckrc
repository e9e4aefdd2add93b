-- All that a script may use: what Redis gives it, and of Lua only what is listed here.
std = {
  read_globals = {
    'KEYS', 'ARGV', 'error', 'ipairs', 'pairs', 'pcall', 'tonumber', 'tostring', 'type', 'unpack',
    redis = { fields = { 'call', 'error_reply', 'pcall' } },
    cjson = { fields = { 'decode', 'encode' } },
    math = { fields = { 'ceil', 'floor', 'max', 'min' } },
    string = { fields = { 'find', 'format', 'lower', 'match', 'sub' } },
  },
}
max_line_length = 140
