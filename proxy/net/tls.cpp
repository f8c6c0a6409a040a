#include "proxy/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <climits>
#include <map>
#include <mutex>
#include <utility>

#include "core/base/file.hpp"
#include "proxy/net/socket_stream.hpp"
#include "proxy/net/tls_session.hpp"

namespace hyperdrive::proxy::net {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, Freer<&::SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freer<&::SSL_free>>;
using Bio = std::unique_ptr<BIO, Freer<&::BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<&::X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<&::EVP_PKEY_free>>;
using Session = std::unique_ptr<SSL_SESSION, Freer<&::SSL_SESSION_free>>;

std::string why() {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  // A file that is not there has no reason of OpenSSL's.
  if (ERR_SYSTEM_ERROR(code)) return core::errno_text(static_cast<int>(ERR_GET_REASON(code)));
  const char* reason = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  return reason != nullptr ? reason : "the data is not valid PEM";
}

Bio over(std::string_view text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// ALPN's form of one protocol name: a length byte and the name.
std::string alpn_list(const std::string& name) { return static_cast<char>(name.size()) + name; }

class Context final : public TlsContext {
 public:
  explicit Context(SSL_CTX* ctx) : ctx_(ctx) {}

  SSL_CTX* get() const { return ctx_.get(); }
  TlsVerify verify = TlsVerify::kNone;

  // --- the client's sessions, for resumption: the newest of each origin -----------------------
  void keep_session(const std::string& origin, SSL_SESSION* session) {
    const std::lock_guard lock(mutex_);
    if (sessions_.size() >= kSessions && !sessions_.contains(origin)) sessions_.clear();
    sessions_[origin].reset(session);
  }
  void resume(const std::string& origin, SSL* ssl) {
    const std::lock_guard lock(mutex_);
    const auto at = sessions_.find(origin);
    if (at != sessions_.end()) ::SSL_set_session(ssl, at->second.get());
  }

 private:
  static constexpr std::size_t kSessions = 64;
  SslContext ctx_;
  std::mutex mutex_;
  std::map<std::string, Session> sessions_;
};

/// What a session's callbacks need to know; freed with the SSL.
struct Peer {
  Context* context;
  std::string origin;  // client: host and protocol
  std::string alpn;    // server: the one protocol to be agreed on
};

void free_peer(void*, void* pointer, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Peer*>(pointer);
}

int peer_index() {
  static const int index = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_peer);
  return index;
}

Peer* peer_of(const SSL* ssl) { return static_cast<Peer*>(::SSL_get_ex_data(ssl, peer_index())); }

void set_peer(SSL* ssl, Peer peer) {
  ::SSL_set_ex_data(ssl, peer_index(), std::make_unique<Peer>(std::move(peer)).release());
}

int on_new_session(SSL* ssl, SSL_SESSION* session) {
  const Peer* peer = peer_of(ssl);
  if (peer == nullptr || ::SSL_SESSION_is_resumable(session) == 0) return 0;
  peer->context->keep_session(peer->origin, session);
  return 1;  // the reference is ours now
}

int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* size, const unsigned char* offered,
            unsigned offered_size, void*) {
  const Peer* peer = peer_of(ssl);
  if (peer == nullptr || peer->alpn.empty()) return SSL_TLSEXT_ERR_NOACK;
  const std::string ours = alpn_list(peer->alpn);
  unsigned char* chosen = nullptr;
  const int result =
      ::SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  // `chosen` points into `ours` or into the client's list; only the latter outlives this call.
  for (unsigned at = 0; at < offered_size; at += offered[at] + 1u) {
    if (std::string_view(reinterpret_cast<const char*>(offered + at + 1), offered[at]) ==
        peer->alpn) {
      *out = offered + at + 1;
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::shared_ptr<Context> make_context(const SSL_METHOD* method) {
  auto context = std::make_shared<Context>(::SSL_CTX_new(method));
  SSL_CTX* ctx = context->get();
  ::SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  ::SSL_CTX_set_options(
      ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

core::Result<void> trust(SSL_CTX* ctx, const std::string& ca_pem) {
  if (ca_pem.empty()) {
    ::SSL_CTX_set_default_verify_paths(ctx);
    return {};
  }
  const Bio bio = over(ca_pem);
  X509_STORE* store = ::SSL_CTX_get_cert_store(ctx);
  int count = 0;
  while (Certificate each{::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    ::X509_STORE_add_cert(store, each.get());
    ++count;
  }
  const unsigned long end = ::ERR_peek_last_error();
  const bool clean = ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
  if (count == 0 || !clean) {
    return core::fail("The CA certificate cannot be read: " + why(),
                      "Give a PEM file with one or more certificates.");
  }
  ::ERR_clear_error();
  return {};
}

core::Result<void> identify(SSL_CTX* ctx, const TlsClientOptions& options) {
  const Bio bio = over(options.client_pem);
  const Certificate leaf(::PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (!leaf || ::SSL_CTX_use_certificate(ctx, leaf.get()) != 1) {
    return core::fail("The client certificate cannot be read: " + why(),
                      "Give a PEM file with the certificate first, then its chain.");
  }
  while (X509* next = ::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    if (::SSL_CTX_add0_chain_cert(ctx, next) != 1) ::X509_free(next);
  }
  ::ERR_clear_error();
  const Bio key_bio = over(options.client_key_pem.reveal());
  // Without a callback OpenSSL would ask for a passphrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const Key key(::PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) {
    return core::fail("The client's private key cannot be read: " + why(),
                      "Give an unencrypted private key in PEM form.");
  }
  if (::SSL_CTX_use_PrivateKey(ctx, key.get()) != 1 || ::SSL_CTX_check_private_key(ctx) != 1) {
    return core::fail("The client's certificate and private key do not belong together: " + why(),
                      "Give the key for which the certificate was issued.");
  }
  return {};
}

bool is_address(const std::string& host) {
  ASN1_OCTET_STRING* parsed = ::a2i_IPADDRESS(host.c_str());
  ::ASN1_OCTET_STRING_free(parsed);
  ::ERR_clear_error();
  return parsed != nullptr;
}

void expect_name(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = ::SSL_get0_param(ssl);
  if (is_address(host)) {
    ::X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str());
  } else {
    ::X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ::X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size());
  }
}

}  // namespace

core::Result<std::shared_ptr<TlsContext>> TlsContext::client(const TlsClientOptions& options) {
  auto context = make_context(::TLS_client_method());
  SSL_CTX* ctx = context->get();
  context->verify = options.verify;
  if (options.verify != TlsVerify::kNone) {
    ::SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    if (const auto done = trust(ctx, options.ca_pem); !done) return tl::unexpected(done.error());
  }
  if (!options.client_pem.empty()) {
    if (const auto done = identify(ctx, options); !done) return tl::unexpected(done.error());
  }
  ::SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  ::SSL_CTX_sess_set_new_cb(ctx, &on_new_session);
  return context;
}

core::Result<std::shared_ptr<TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  auto context = make_context(::TLS_server_method());
  SSL_CTX* ctx = context->get();
  if (::SSL_CTX_use_certificate_chain_file(ctx, options.cert_file.c_str()) != 1) {
    return core::fail("The server certificate " + options.cert_file + " cannot be read: " + why(),
                      "Give a PEM file with the certificate first, then its chain.");
  }
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  ::SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
  if (::SSL_CTX_use_PrivateKey_file(ctx, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      ::SSL_CTX_check_private_key(ctx) != 1) {
    return core::fail("The private key " + options.key_file + " cannot be used: " + why(),
                      "Give the unencrypted PEM key for which the certificate was issued.");
  }
  ::SSL_CTX_set_alpn_select_cb(ctx, &on_alpn, nullptr);
  ::SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(ctx, 1);
  return context;
}

void start_tls_client(Stream& stream, std::shared_ptr<TlsContext> context, const std::string& host,
                      const std::string& alpn, std::function<void(std::string error)> done) {
  auto& ours = static_cast<Context&>(*context);
  SSL* ssl = ::SSL_new(ours.get());
  ::SSL_set_connect_state(ssl);
  std::string name = host;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  // RFC 6066: addresses are not sent as server names.
  if (!name.empty() && !is_address(name)) SSL_set_tlsext_host_name(ssl, name.c_str());
  if (ours.verify == TlsVerify::kFull) expect_name(ssl, name);
  if (!alpn.empty()) {
    const std::string list = alpn_list(alpn);
    ::SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
  }
  const std::string origin = name + '/' + alpn;
  set_peer(ssl, {&ours, origin, {}});
  ours.resume(origin, ssl);
  static_cast<SocketStream&>(stream).start_tls(
      std::make_unique<TlsSession>(std::move(context), ssl, std::move(done)), {});
}

void start_tls_server(Stream& stream, std::shared_ptr<TlsContext> context, const std::string& alpn,
                      Bytes already_read, std::function<void(std::string error)> done) {
  auto& ours = static_cast<Context&>(*context);
  SSL* ssl = ::SSL_new(ours.get());
  ::SSL_set_accept_state(ssl);
  set_peer(ssl, {&ours, {}, alpn});
  static_cast<SocketStream&>(stream).start_tls(
      std::make_unique<TlsSession>(std::move(context), ssl, std::move(done)), already_read);
}

}  // namespace hyperdrive::proxy::net
