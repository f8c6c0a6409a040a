#include "proxy/net/tls_session.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <memory>

namespace hyperdrive::proxy::net {
namespace {

/// OpenSSL's own words for what went wrong last; empties its queue of errors.
std::string last_words(SSL* ssl) {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  if (code == 0) return "the TLS connection failed";
  const char* reason = ::ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "TLS error " + std::to_string(code);
  const long verified = ::SSL_get_verify_result(ssl);
  if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
    text += std::string(": ") + ::X509_verify_cert_error_string(verified);
  }
  return text;
}

std::string text_of(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&::BIO_free_all)> text(::BIO_new(::BIO_s_mem()),
                                                             &::BIO_free_all);
  ::X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

TlsSession::TlsSession(std::shared_ptr<TlsContext> context, SSL* ssl, Done done)
    : context_(std::move(context)), ssl_(ssl), done_(std::move(done)) {
  BIO* bio = ::BIO_new(method());
  ::BIO_set_data(bio, this);
  ::BIO_set_init(bio, 1);
  ::SSL_set_bio(ssl_, bio, bio);
}

TlsSession::~TlsSession() {
  // Tells OpenSSL that the session may be resumed although no close_notify was waited for.
  ::SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  ::SSL_free(ssl_);
}

void TlsSession::attach_output(Buffer& out, BlockPool& pool) {
  out_ = &out;
  pool_ = &pool;
}

void TlsSession::feed_copy(Bytes cipher) {
  early_.assign(cipher);
  incoming_ = early_;
}

// --- the BIO
// ----------------------------------------------------------------------------------------

const BIO_METHOD* TlsSession::method() {
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* method = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    ::BIO_meth_set_read(method, &TlsSession::on_read);
    ::BIO_meth_set_write(method, &TlsSession::on_write);
    ::BIO_meth_set_ctrl(method, &TlsSession::on_control);
    return method;
  }();
  return made;
}

int TlsSession::on_read(BIO* bio, char* to, int room) {
  auto* self = static_cast<TlsSession*>(::BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self->incoming_.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t size = std::min(self->incoming_.size(), static_cast<std::size_t>(room));
  std::memcpy(to, self->incoming_.data(), size);
  self->incoming_.remove_prefix(size);
  return static_cast<int>(size);
}

int TlsSession::on_write(BIO* bio, const char* from, int size) {
  auto* self = static_cast<TlsSession*>(::BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self->out_->append({from, static_cast<std::size_t>(size)}, *self->pool_);
  return size;
}

long TlsSession::on_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

// --- steps
// ------------------------------------------------------------------------------------------

TlsSession::Step TlsSession::step(int result) {
  if (result > 0) return Step::kProgress;
  switch (::SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Step::kAgain;
    case SSL_ERROR_ZERO_RETURN:
      return Step::kEnd;
    default:
      error_ = last_words(ssl_);
      return Step::kFailed;
  }
}

TlsSession::Step TlsSession::handshake() {
  ::ERR_clear_error();
  const Step result = step(::SSL_do_handshake(ssl_));
  if (result == Step::kEnd) error_ = "the peer ended the TLS connection during the handshake";
  if (result != Step::kAgain) early_.shrink_to_fit();
  return result;
}

TlsSession::Step TlsSession::read(char* to, std::size_t room, std::size_t& got) {
  ::ERR_clear_error();
  got = 0;
  while (got < room) {
    std::size_t size = 0;
    const Step result = step(::SSL_read_ex(ssl_, to + got, room - got, &size));
    if (result != Step::kProgress) return got != 0 ? Step::kProgress : result;
    got += size;
  }
  return Step::kProgress;
}

TlsSession::Step TlsSession::encrypt(Bytes plain) {
  ::ERR_clear_error();
  std::size_t written = 0;
  return step(::SSL_write_ex(ssl_, plain.data(), plain.size(), &written));
}

void TlsSession::close_notify() {
  if (notified_) return;
  notified_ = true;
  ::ERR_clear_error();
  ::SSL_shutdown(ssl_);
}

TlsInfo TlsSession::info() const {
  TlsInfo info{::SSL_get_version(ssl_), ::SSL_get_cipher_name(ssl_), {}, {}, {}, {}};
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  ::SSL_get0_alpn_selected(ssl_, &alpn, &alpn_size);
  if (alpn != nullptr) info.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  X509* certificate = ::SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return info;
  info.subject = text_of(::X509_get_subject_name(certificate));
  info.issuer = text_of(::X509_get_issuer_name(certificate));
  std::tm until{};
  if (::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &until) == 1) {
    info.not_after = std::chrono::system_clock::from_time_t(::timegm(&until));
  }
  return info;
}

/// RFC 5929, section 4.1: the certificate's hash with its signature's digest, MD5 and SHA-1
/// replaced by SHA-256.
std::string TlsSession::server_end_point() const {
  X509* certificate =
      ::SSL_is_server(ssl_) != 0 ? ::SSL_get_certificate(ssl_) : ::SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  int digest_id = NID_undef;
  int key_id = NID_undef;
  ::X509_get_signature_info(certificate, &digest_id, &key_id, nullptr, nullptr);
  // Signatures without a digest of their own (Ed25519) have no binding defined.
  if (digest_id == NID_undef) return {};
  if (digest_id == NID_md5 || digest_id == NID_sha1) digest_id = NID_sha256;
  const EVP_MD* digest = ::EVP_get_digestbynid(digest_id);
  if (digest == nullptr) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned size = 0;
  if (::X509_digest(certificate, digest, hash.data(), &size) != 1) return {};
  return {reinterpret_cast<const char*>(hash.data()), size};
}

}  // namespace hyperdrive::proxy::net
