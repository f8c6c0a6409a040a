// MariaDB's client_ed25519: an Ed25519 signature whose secret is SHA-512 of a password of any
// length.
//
// Standard Ed25519 (RFC 8032) hashes a 32-byte seed to a scalar and a prefix, and that is all that
// OpenSSL's API takes; here password bytes of any number are hashed in the seed's place. So the
// group is computed here, over OpenSSL's integers: extended coordinates (RFC 8032, 5.1.4), the same
// steps for every bit of a scalar. One signature costs some milliseconds; it is made once a login.
#include <openssl/bn.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <memory>

#include "proxy/wire/mysql/auth.hpp"

namespace hyperdrive::proxy::wire::mysql {
namespace {

constexpr std::size_t kSize = 32;
constexpr int kBits = 256;

struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
struct FreeContext {
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, FreeNumber>;

void must(bool ok) {
  if (!ok) std::abort();  // out of memory: a wrong signature must never leave
}

Number number() {
  Number value(BN_secure_new());
  must(value != nullptr);
  return value;
}

Number from_hex(const char* hex) {
  BIGNUM* raw = nullptr;
  must(BN_hex2bn(&raw, hex) != 0);
  return Number(raw);
}

Number from_little_endian(Bytes bytes) {
  Number value = number();
  must(BN_lebin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                   static_cast<int>(bytes.size()), value.get()) != nullptr);
  return value;
}

std::string to_little_endian(const BIGNUM* value) {
  std::string bytes(kSize, '\0');
  must(BN_bn2lebinpad(value, reinterpret_cast<unsigned char*>(bytes.data()), kSize) ==
       static_cast<int>(kSize));
  return bytes;
}

std::string sha512(std::initializer_list<Bytes> parts) {
  std::string input;
  for (const Bytes part : parts) input.append(part);
  std::string hash(64, '\0');
  must(EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(hash.data()),
                  nullptr, EVP_sha512(), nullptr) == 1);
  return hash;
}

/// x = X/Z, y = Y/Z, x*y = T/Z.
struct Point {
  Number x = number(), y = number(), z = number(), t = number();
};

class Curve {
 public:
  Curve()
      : context_(BN_CTX_secure_new()),
        p_(from_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed")),
        order_(from_hex("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")),
        d2_(from_hex("2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159")) {
    base_.x = from_hex("216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a");
    base_.y = from_hex("6666666666666666666666666666666666666666666666666666666666666658");
    must(BN_one(base_.z.get()) == 1);
    multiply(base_.t, base_.x, base_.y);
  }

  /// The encoding (RFC 8032, 5.1.2) of scalar * base.
  std::string times_base(const BIGNUM* scalar) {
    Point sum, other, doubled = copy(base_);
    BN_zero(sum.x.get());
    BN_zero(sum.t.get());
    must(BN_one(sum.y.get()) == 1 && BN_one(sum.z.get()) == 1);
    for (int bit = 0; bit < kBits; ++bit) {
      add(other, sum, doubled);
      // Both sums are always made: the time does not tell the bits.
      std::swap(BN_is_bit_set(scalar, bit) != 0 ? sum : spare_, other);
      add(other, doubled, doubled);
      std::swap(doubled, other);
    }
    return encode(sum);
  }

  /// (a * b + c) modulo the group's order.
  std::string multiply_add(const BIGNUM* a, const BIGNUM* b, const BIGNUM* c) {
    Number result = number();
    must(BN_mod_mul(result.get(), a, b, order_.get(), context_.get()) == 1);
    must(BN_mod_add(result.get(), result.get(), c, order_.get(), context_.get()) == 1);
    return to_little_endian(result.get());
  }

  Number reduce(Bytes hash) {
    Number value = from_little_endian(hash);
    must(BN_nnmod(value.get(), value.get(), order_.get(), context_.get()) == 1);
    return value;
  }

 private:
  void multiply(Number& to, const Number& a, const Number& b) {
    must(BN_mod_mul(to.get(), a.get(), b.get(), p_.get(), context_.get()) == 1);
  }
  void plus(Number& to, const Number& a, const Number& b) {
    must(BN_mod_add(to.get(), a.get(), b.get(), p_.get(), context_.get()) == 1);
  }
  void minus(Number& to, const Number& a, const Number& b) {
    must(BN_mod_sub(to.get(), a.get(), b.get(), p_.get(), context_.get()) == 1);
  }

  /// Complete for this curve: right for equal and for neutral points too (RFC 8032, 5.1.4).
  void add(Point& to, const Point& p, const Point& q) {
    minus(u_, p.y, p.x);
    minus(v_, q.y, q.x);
    multiply(a_, u_, v_);
    plus(u_, p.y, p.x);
    plus(v_, q.y, q.x);
    multiply(b_, u_, v_);
    multiply(u_, p.t, q.t);
    multiply(c_, u_, d2_);
    multiply(u_, p.z, q.z);
    plus(d_, u_, u_);
    minus(e_, b_, a_);
    minus(f_, d_, c_);
    plus(g_, d_, c_);
    plus(h_, b_, a_);
    multiply(to.x, e_, f_);
    multiply(to.y, g_, h_);
    multiply(to.t, e_, h_);
    multiply(to.z, f_, g_);
  }

  std::string encode(const Point& point) {
    Number inverse = number(), x = number(), y = number();
    must(BN_mod_inverse(inverse.get(), point.z.get(), p_.get(), context_.get()) != nullptr);
    multiply(x, point.x, inverse);
    multiply(y, point.y, inverse);
    std::string bytes = to_little_endian(y.get());
    if (BN_is_odd(x.get())) bytes.back() = static_cast<char>(bytes.back() | 0x80);
    return bytes;
  }

  static Point copy(const Point& from) {
    Point to;
    must(BN_copy(to.x.get(), from.x.get()) && BN_copy(to.y.get(), from.y.get()) &&
         BN_copy(to.z.get(), from.z.get()) && BN_copy(to.t.get(), from.t.get()));
    return to;
  }

  std::unique_ptr<BN_CTX, FreeContext> context_;
  const Number p_, order_, d2_;
  Point base_, spare_;
  Number a_ = number(), b_ = number(), c_ = number(), d_ = number(), e_ = number(), f_ = number(),
         g_ = number(), h_ = number(), u_ = number(), v_ = number();
};

}  // namespace

std::string ed25519_password(const core::Secret& password, Bytes scramble) {
  std::string secret = sha512({password.reveal()});
  std::string scalar_bytes = secret.substr(0, kSize);
  scalar_bytes.front() = static_cast<char>(scalar_bytes.front() & 0xf8);
  scalar_bytes.back() = static_cast<char>((scalar_bytes.back() & 0x3f) | 0x40);
  const Number scalar = from_little_endian(scalar_bytes);

  Curve curve;
  const std::string public_key = curve.times_base(scalar.get());
  const Number nonce = curve.reduce(sha512({Bytes(secret).substr(kSize), scramble}));
  const std::string point = curve.times_base(nonce.get());
  const Number challenge = curve.reduce(sha512({point, public_key, scramble}));
  std::string signature = point + curve.multiply_add(challenge.get(), scalar.get(), nonce.get());
  OPENSSL_cleanse(secret.data(), secret.size());
  OPENSSL_cleanse(scalar_bytes.data(), scalar_bytes.size());
  return signature;
}

}  // namespace hyperdrive::proxy::wire::mysql
