// How an SDK client comes to the gateway: it knows of an endpoint itself, but of a proxy only by an
// agent that its request handler is given. Spread `way` into a client's configuration.

export const way = {};

if (process.env.HTTPS_PROXY) {
  const { HttpsProxyAgent } = await import('https-proxy-agent');
  way.requestHandler = { httpsAgent: new HttpsProxyAgent(process.env.HTTPS_PROXY, { keepAlive: true }) };
}
