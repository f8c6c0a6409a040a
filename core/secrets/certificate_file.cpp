#include "core/secrets/certificate_file.hpp"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

namespace hyperdrive::core {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> reader(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Never asks on the terminal: an encrypted key is an error, not a prompt.
int no_passphrase(char*, int, int, void*) { return -1; }

std::string name_text(const X509_NAME* name) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string serial_text(const X509* certificate) {
  const Owned<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* digits = BN_bn2hex(number.get());
  std::string text(digits == nullptr ? "" : digits);
  OPENSSL_free(digits);
  return text;
}

std::string time_text(const ASN1_TIME* time) {
  std::tm broken{};
  ASN1_TIME_to_tm(time, &broken);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", broken.tm_year + 1900,
                     broken.tm_mon + 1, broken.tm_mday, broken.tm_hour, broken.tm_min,
                     broken.tm_sec);
}

Result<void> check_validity(const X509* certificate, std::string_view file) {
  const std::string subject = name_text(X509_get_subject_name(certificate));
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    return fail(fmt::format("{}: the certificate of {} expired on {}.", file, subject,
                            time_text(X509_get0_notAfter(certificate))),
                "Get a renewed one from who issued it.");
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    return fail(fmt::format("{}: the certificate of {} is not valid before {}.", file, subject,
                            time_text(X509_get0_notBefore(certificate))),
                "Is this machine's clock right?");
  }
  return {};
}

CertificateFacts facts_of(X509* certificate) {
  CertificateFacts facts;
  facts.subject = name_text(X509_get_subject_name(certificate));
  facts.issuer = name_text(X509_get_issuer_name(certificate));
  facts.serial_number = serial_text(certificate);
  facts.signature = OBJ_nid2ln(X509_get_signature_nid(certificate));
  facts.expires_on = time_text(X509_get0_notAfter(certificate));
  facts.authority = X509_check_ca(certificate) > 0;
  return facts;
}

}  // namespace

Result<CertificateFacts> read_certificates(std::string_view pem, std::string_view file) {
  const Owned<BIO> in = reader(pem);
  CertificateFacts facts;
  ERR_clear_error();
  while (true) {
    const Owned<X509> certificate(PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) break;
    if (auto valid = check_validity(certificate.get(), file); !valid) {
      return tl::unexpected(valid.error());
    }
    if (facts.count == 0) facts = facts_of(certificate.get());
    ++facts.count;
  }
  // The end of the file also shows as an error: "no start line".
  const bool clean = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (facts.count == 0 || !clean) {
    return fail(fmt::format("{} is not a PEM file of certificates.", file),
                "It should have blocks that begin with -----BEGIN CERTIFICATE-----. From DER: "
                "openssl x509 -inform der -in FILE -out FILE.pem");
  }
  return facts;
}

Result<void> check_key_belongs(std::string_view certificate_pem, const Secret& key_pem,
                               std::string_view key_file) {
  ERR_clear_error();
  const Owned<BIO> key_in = reader(key_pem.reveal());
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_in.get(), nullptr, no_passphrase, nullptr));
  const Owned<BIO> in = reader(certificate_pem);
  const Owned<X509> certificate(PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) {
    const bool encrypted = key_pem.reveal().find("ENCRYPTED") != std::string_view::npos;
    return fail(encrypted ? fmt::format("The private key in {} is encrypted.", key_file)
                          : fmt::format("{} is not a PEM file of a private key.", key_file),
                encrypted ? "Take its passphrase off (it is stored sealed here): openssl pkey -in "
                            "KEY -out PLAIN"
                          : "It should begin with -----BEGIN PRIVATE KEY-----.");
  }
  if (!certificate || X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(fmt::format("The private key in {} does not belong to the certificate.", key_file),
                "Are the two files of the same pair? The leaf certificate must come first.");
  }
  return {};
}

}  // namespace hyperdrive::core
