// The seam for whoever answers in the origin's place, or listens to its answers: the cache.
//
// Every message of a ready client passes through Client::relay. A *group* is what one answer
// belongs to: one simple Query, or extended messages up to and with Sync or Flush. When a group
// lies whole in the buffer, the session holds no origin connection and owes no reply, the gate is
// offered it before anything is sent; nothing can then be overtaken by an answer from memory.
//
//   offer()   kAnswered   the gate wrote the whole answer to client.stream(); the session takes
//                         note of what the group did to it (Client::adopt: names, unnamed
//                         statement)
//             kForward    goes to the origin as if there were no gate
//             kCapture    likewise, and `tap` sees the answer
//             kWait       nothing happens until Client::retry_group(); then the group is offered
//             again
//   will_run()  a statement is about to be sent, in whatever shape (Query, Execute, in a
//   transaction
//               or not): the moment to mark its writes as begun
//   ready()     the origin said ReadyForQuery, its status known, the client has not seen it yet:
//   the
//               moment to make the writes since the last one visible (`idle`) or keep them pending
//
// One gate per worker, called on that worker's thread only; calls do not nest.
#pragma once

#include <cstdint>

#include "proxy/net/stream.hpp"
#include "proxy/session/postgres/text_info.hpp"

namespace hyperdrive::proxy::session::postgres {

class Client;
class Origin;

/// Sees the bytes of an answer as they go to the client. Dies with on_end or on_cut.
class Tap {
 public:
  virtual ~Tap() = default;
  virtual void on_bytes(net::Bytes bytes) = 0;
  /// The answer is complete; `clean`: no error in it, and the session was idle at its end.
  virtual void on_end(bool clean) = 0;
  /// No more will come: the client or the origin is gone.
  virtual void on_cut() = 0;
};

enum class Verdict : std::uint8_t { kForward, kAnswered, kCapture, kWait };

struct Offer {
  Verdict verdict = Verdict::kForward;
  std::shared_ptr<Tap> tap;  ///< kCapture
  Shape told;                ///< kAnswered: the statement's description in the answer, if any

  static Offer waiting() { return {Verdict::kWait, nullptr, {}}; }
};

class Gate {
 public:
  virtual ~Gate() = default;
  /// `group`: whole messages, ending with Query, Sync or Flush.
  virtual Offer offer(Client& client, net::Bytes group) = 0;
  /// The client has got a connection; nothing of the group has been sent on it yet.
  virtual void leased(Origin& origin) = 0;
  /// Asked before will_run(): false, if the statement must not be sent yet; nothing happens until
  /// Client::retry_group(), then it is asked again.
  virtual bool may_run(Client& client, TextInfo& text) = 0;
  virtual void will_run(Client& client, TextInfo& text) = 0;
  /// It is about to be bound, which may plan it: functions that are called IMMUTABLE run then.
  virtual void will_bind(Client& client, TextInfo& text) = 0;
  /// Likewise, of a FunctionCall.
  virtual bool may_call(Client& client) = 0;
  /// A FunctionCall is about to be sent.
  virtual void will_call(Client& client) = 0;
  virtual void ready(Client& client, wire::postgres::TransactionStatus status) = 0;
  /// Answers and descriptions of this text have another shape by now.
  virtual void shape_changed(TextInfo& text) = 0;
  /// Everything sent on this connection is answered and it is idle; its client, if it still has
  /// one, has not seen it yet: the moment to settle Origin::writes.
  virtual void settle(Origin& origin) = 0;
  /// It is destroyed with writes whose end nobody saw.
  virtual void orphaned(Origin& origin) = 0;
  /// The client is gone; a wait for it ends.
  virtual void gone(Client& client) = 0;
};

}  // namespace hyperdrive::proxy::session::postgres
