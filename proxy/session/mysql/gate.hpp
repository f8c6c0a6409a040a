// The seam for whoever answers in the origin's place, or listens to its answers: the cache.
//
// A ready client's commands pass through Client one at a time: the next one waits until the reply
// to the one before is complete. A COM_QUERY or COM_STMT_EXECUTE that lies whole in the buffer is
// offered to the gate before anything is sent, if the session holds no origin connection that
// matters (none, or one that it could give back at once), is in no transaction and has autocommit
// on.
//
//   offer()   kAnswered   the gate wrote the whole answer to client.stream(): packets numbered from
//                         1, in the shape that the client's capabilities ask for (Client::shape)
//             kForward    goes to the origin as if there were no gate
//             kCapture    likewise, and `tap` sees the answer
//             kWait       nothing happens until Client::retry(); then it is offered again
//   will_run()  a text is about to be sent, in whatever shape (query, execute, in a transaction or
//               not): the moment to mark its writes as begun, in Origin::gate_slot. False: others
//               have to be told of them first; nothing is sent until Client::retry(), then it is
//               called again
//   answered()  the reply to a command is complete, the client has not seen its last packet yet:
//   the
//               moment to make writes visible (not in a transaction) or keep them pending
//
// One gate per worker, called on that worker's thread only; calls do not nest.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/net/stream.hpp"
#include "proxy/session/mysql/session_state.hpp"
#include "proxy/session/mysql/text_info.hpp"

namespace hyperdrive::proxy::session::mysql {

class Client;
class Origin;

/// Sees the bytes of an answer as they go to the client, headers and all, numbered from 1. Dies
/// with on_end or on_cut.
class Tap {
 public:
  virtual ~Tap() = default;
  virtual void on_bytes(net::Bytes bytes) = 0;
  /// The answer is complete; `clean`: one result set, no error, no warning, and the session was in
  /// no transaction at its end.
  virtual void on_end(bool clean) = 0;
  /// No more will come: the client or the origin is gone.
  virtual void on_cut() = 0;
};

enum class Verdict : std::uint8_t { kForward, kAnswered, kCapture, kWait };

struct Offer {
  Verdict verdict = Verdict::kForward;
  std::shared_ptr<Tap> tap;  ///< kCapture

  static Offer waiting() { return {Verdict::kWait, nullptr}; }
};

/// What a client asks.
struct Question {
  TextInfo& text;
  const StateRef&
      state;            ///< under which the text is read: the session's, or as when it was prepared
  bool binary = false;  ///< COM_STMT_EXECUTE: rows are wanted in the binary protocol
  /// Of an EXECUTE: everything that decides about the answer, as it travels: null bitmap, types
  /// (also where the client left them out) and values.
  net::Bytes null_bitmap;
  net::Bytes types;
  net::Bytes values;
};

/// What the gate keeps with an origin connection: the writes of the transaction that runs there.
class GateSlot {
 public:
  virtual ~GateSlot() = default;
};

/// How a command ended.
struct Ending {
  bool failed = false;          ///< the last reply was an ERR
  bool in_transaction = false;  ///< by the status flags, or as before where an ERR carries none
  bool autocommit = true;
};

class Gate {
 public:
  virtual ~Gate() = default;
  /// Whether it judges plain texts, too, and so keeps something with them.
  virtual bool judges_plain_texts() = 0;
  virtual Offer offer(Client& client, const Question& question) = 0;
  /// `origin`: where it will run; `state`: as in Question.
  virtual bool will_run(Client& client, Origin& origin, TextInfo& text, const StateRef& state) = 0;
  /// Also for what the proxy runs itself behind a client that has left (the ROLLBACK).
  virtual void answered(Origin& origin, const Ending& ending) = 0;
  /// It is destroyed, perhaps with writes whose end nobody saw.
  virtual void orphaned(Origin& origin) = 0;
  /// The client is gone; a wait for it ends.
  virtual void gone(Client& client) = 0;
};

}  // namespace hyperdrive::proxy::session::mysql
