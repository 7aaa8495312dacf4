// Preloaded into Node: every name under `.test` is this machine, as a wildcard DNS record would say.

const dns = require('node:dns');

const { lookup } = dns;
dns.lookup = (hostname, options, callback) => {
  const done = callback ?? options;
  if (!hostname.endsWith('.test')) return lookup(hostname, options, callback);
  if (options?.all) return done(null, [{ address: '127.0.0.1', family: 4 }]);
  return done(null, '127.0.0.1', 4);
};
