// One TLS connection's state machine, without a socket: cipher bytes in, plain bytes out and back.
//
// OpenSSL reads from the bytes last given to `feed` and writes straight into the stream's
// out-buffer, through a BIO of our own: no copies in between and nothing held while idle.
// Owned by its SocketStream; same thread.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>

#include "proxy/net/buffer.hpp"
#include "proxy/net/tls.hpp"

namespace hyperdrive::proxy::net {

class TlsSession {
 public:
  using Done = std::function<void(std::string)>;
  enum class Step { kAgain, kProgress, kEnd, kFailed };

  /// `error()` tells at once if the session could not be set up.
  TlsSession(std::shared_ptr<TlsContext> context, SSL* ssl, Done done);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  bool handshaking() const { return static_cast<bool>(done_); }
  /// Ends the handshake phase and gives what is to be called.
  Done take_done() { return std::exchange(done_, nullptr); }

  /// Where cipher bytes to be sent go.
  void attach_output(Buffer& out, BlockPool& pool);
  /// `cipher` must stay until the next step says kAgain. Bytes fed earlier must have been read.
  void feed(Bytes cipher) { incoming_ = cipher; }
  bool has_unread() const { return !incoming_.empty(); }
  /// Keeps a copy (bytes that were read before the session existed).
  void feed_copy(Bytes cipher);

  Step handshake();
  /// Decrypts into `to`; `got` is set with kProgress.
  Step read(char* to, std::size_t room, std::size_t& got);
  Step encrypt(Bytes plain);
  void close_notify();

  void fail(std::string why) { error_ = std::move(why); }
  const std::string& error() const { return error_; }
  std::string server_end_point() const;
  TlsInfo info() const;

  Buffer plain;  ///< written by the session's owner, encrypted at the end of the turn

 private:
  static const BIO_METHOD* method();
  static int on_read(BIO* bio, char* to, int room);
  static int on_write(BIO* bio, const char* from, int size);
  static long on_control(BIO* bio, int command, long number, void* pointer);
  Step step(int result);

  std::shared_ptr<TlsContext> context_;
  SSL* ssl_;
  Done done_;
  Bytes incoming_;
  std::string early_;
  Buffer* out_ = nullptr;
  BlockPool* pool_ = nullptr;
  std::string error_;
  bool notified_ = false;
};

}  // namespace hyperdrive::proxy::net
