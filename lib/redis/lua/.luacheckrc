-- All that a script may use: what Redis gives it, and of Lua only what is listed here.
std = {
  read_globals = {
    'KEYS', 'ARGV', 'ipairs', 'pairs', 'pcall', 'tonumber', 'tostring', 'type', 'unpack',
    redis = { fields = { 'call', 'pcall' } },
    cjson = { fields = { 'decode', 'encode' } },
    math = { fields = { 'ceil', 'floor', 'max', 'min' } },
    string = { fields = { 'find', 'format', 'match', 'sub' } },
  },
}
max_line_length = 140
