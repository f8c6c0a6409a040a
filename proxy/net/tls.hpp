// TLS on top of a Stream: contexts, and turning a plain stream into a TLS one in place.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

enum class TlsVerify { kNone, kCa, kFull };  ///< kFull: CA and host name

struct TlsClientOptions {
  TlsVerify verify = TlsVerify::kNone;
  std::string ca_pem;      ///< empty: the system's store
  std::string client_pem;  ///< chain, leaf first; empty: no client certificate
  core::Secret client_key_pem;
};

struct TlsServerOptions {
  std::string cert_file;  ///< PEM chain
  std::string key_file;
};

/// Immutable once made; shared by all streams and threads. TLS 1.2 or newer.
class TlsContext {
 public:
  static core::Result<std::shared_ptr<TlsContext>> client(const TlsClientOptions& options);
  static core::Result<std::shared_ptr<TlsContext>> server(const TlsServerOptions& options);
  virtual ~TlsContext() = default;
};

/// Handshakes as client and then continues `stream` as TLS: same object, same handler. `done` gets
/// an empty string, or why it failed (OpenSSL's own words, e.g. "certificate verify failed:
/// self-signed certificate"); after a failure the stream is dead and on_closed is not called. What
/// was written before goes out plain, what is written after this call is encrypted. `host` is used
/// for SNI and for TlsVerify::kFull. `alpn` may be empty
/// ("postgresql" for direct TLS). Any bytes already received and unused are a failure.
void start_tls_client(Stream& stream, std::shared_ptr<TlsContext> context, const std::string& host,
                      const std::string& alpn, std::function<void(std::string error)> done);

/// Likewise as server. `already_read` bytes (direct TLS: the ClientHello) are fed to the handshake.
void start_tls_server(Stream& stream, std::shared_ptr<TlsContext> context, const std::string& alpn,
                      Bytes already_read, std::function<void(std::string error)> done);

}  // namespace hyperdrive::proxy::net
