/** The connections of a server, and the requests on them: who has gone, and who keeps a server from closing. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request, from its head until its answer is sent or its connection has gone. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Called at its end. */
  ended: (() => void)[];
}

/**
 * What is told of each connection. A response alone does not tell: one that waits for those before it on its connection
 * (pipelining) is not closed with that.
 */
export class Connections {
  readonly #server: Server;
  readonly #exchanges = new Map<Socket, Set<Exchange>>();
  readonly #byRequest = new WeakMap<IncomingMessage, Exchange>();

  /** Of a server that does not listen yet. */
  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#exchanges.set(socket, new Set());
      socket.once('close', () => {
        for (const exchange of this.#exchanges.get(socket) ?? []) this.#end(socket, exchange);
        this.#exchanges.delete(socket);
      });
    });
    // Before Fastify, whose hooks ask for it.
    server.prependListener('request', (request, response) => {
      const exchange = { request, response, ended: [] };
      const { socket } = request;
      this.#exchanges.get(socket)?.add(exchange);
      this.#byRequest.set(request, exchange);
      response.once('close', () => this.#end(socket, exchange));
    });
  }

  /** Calls `act` once the answer to a request is sent, or its connection has gone. */
  whenEnded(request: IncomingMessage, act: () => void): void {
    this.#byRequest.get(request)?.ended.push(act);
  }

  /**
   * Destroys connections that keep a closing server: those without a request and, when it is late, those whose request
   * has not come whole or whose answer is not taken. Whose answer is being made keeps its connection.
   */
  destroyIdle(isLate: boolean): void {
    this.#server.closeIdleConnections();
    for (const [socket, exchanges] of this.#exchanges) {
      // Node takes one that has never sent anything for one at work.
      const waits = isLate
        ? [...exchanges].some(({ request, response }) => request.complete && !response.writableEnded)
        : socket.bytesRead > 0;
      if (!waits) socket.destroy();
    }
  }

  #end(socket: Socket, exchange: Exchange): void {
    if (!this.#byRequest.delete(exchange.request)) return;
    this.#exchanges.get(socket)?.delete(exchange);
    for (const act of exchange.ended) act();
  }
}
