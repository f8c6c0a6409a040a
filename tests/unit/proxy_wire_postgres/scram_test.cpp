#include <catch2/catch.hpp>
#include <string>

#include "proxy/wire/postgres/base64.hpp"
#include "proxy/wire/postgres/saslprep.hpp"
#include "proxy/wire/postgres/scram.hpp"

using namespace hyperdrive::proxy::wire::postgres;
using hyperdrive::core::Secret;
using namespace std::string_literals;

namespace {

// RFC 7677, section 3.
const std::string kClientNonce = "rOprNGfwEbeRWgbNEkqO";
const std::string kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const std::string kSalt = *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==");
const std::string kClientFirst = "n,,n=user,r=" + kClientNonce;
const std::string kServerFirst =
    "r=" + kClientNonce + kServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const std::string kClientFinal =
    "c=biws,r=" + kClientNonce + kServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const std::string kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const ScramVerifier& pencil() {
  static const ScramVerifier verifier = ScramVerifier::derive(Secret("pencil"), 4096, kSalt);
  return verifier;
}

struct Outcome {
  bool client_accepted = false;
  std::string sqlstate;
};

/// A whole exchange between both sides.
Outcome exchange(const ScramVerifier& verifier, const std::string& password,
                 const std::string& server_binding = {}, const std::string& client_binding = {},
                 bool plus_offered = false) {
  ScramKeyCache cache;
  ScramServer server(verifier, server_binding);
  ScramClient client(Secret(password), client_binding, plus_offered, cache);
  const auto server_first = server.first(client.mechanism(), client.first());
  if (!server_first) return {false, std::string(server_first.error().sqlstate)};
  const auto client_final = client.final(*server_first);
  REQUIRE(client_final);
  const auto server_final = server.final(*client_final);
  if (!server_final) return {false, std::string(server_final.error().sqlstate)};
  return {client.verify(*server_final).has_value(), {}};
}

std::string first_error(Bytes mechanism, Bytes message, std::string binding = {}) {
  ScramServer server(pencil(), std::move(binding));
  const auto result = server.first(mechanism, message);
  return result ? std::string() : std::string(result.error().sqlstate);
}

}  // namespace

TEST_CASE("the client says what RFC 7677 says") {
  ScramKeyCache cache;
  ScramClient client(Secret("pencil"), {}, false, cache, kClientNonce);
  CHECK(client.mechanism() == "SCRAM-SHA-256");
  CHECK(client.first("user") == kClientFirst);
  CHECK(client.final(kServerFirst) == kClientFinal);
  CHECK(client.verify(kServerFinal));
}

TEST_CASE("the server says what RFC 7677 says") {
  ScramServer server(pencil(), {}, kServerNonce);
  CHECK(server.first("SCRAM-SHA-256", kClientFirst) == kServerFirst);
  CHECK(server.final(kClientFinal) == kServerFinal);
}

TEST_CASE("only the right password passes") {
  CHECK(exchange(pencil(), "pencil").client_accepted);
  CHECK(exchange(pencil(), "pencil ").sqlstate == "28P01");
  CHECK(exchange(pencil(), "").sqlstate == "28P01");
}

TEST_CASE("an unknown user is refused at the end, with the same salt each time") {
  const auto mock = ScramVerifier::mock("nobody", "secret of this process", 4096);
  const auto again = ScramVerifier::mock("nobody", "secret of this process", 4096);
  const auto other = ScramVerifier::mock("somebody", "secret of this process", 4096);
  CHECK(mock.salt == again.salt);
  CHECK(mock.salt != other.salt);
  CHECK(mock.salt.size() == pencil().salt.size());
  CHECK(exchange(mock, "pencil").sqlstate == "28P01");

  auto known_keys = pencil();
  known_keys.genuine = false;
  CHECK(exchange(known_keys, "pencil").sqlstate == "28P01");
}

TEST_CASE("channel binding ties the exchange to the certificate") {
  CHECK(exchange(pencil(), "pencil", "hash", "hash", true).client_accepted);
  CHECK(exchange(pencil(), "pencil", "hash", "another", true).sqlstate == "28000");
  // The list was cut on the way: the client could, the server could, yet nobody does.
  CHECK(exchange(pencil(), "pencil", "hash", "hash", false).sqlstate == "28000");
  // TLS towards a server that has no binding: 'y' is right.
  CHECK(exchange(pencil(), "pencil", {}, "hash", false).client_accepted);
}

TEST_CASE("the GS2 header must fit the mechanism") {
  CHECK(first_error("SCRAM-SHA-256", "n,,n=,r=abc").empty());
  CHECK(first_error("SCRAM-SHA-256", "y,,n=,r=abc").empty());
  CHECK(first_error("SCRAM-SHA-256", "n,,n=,r=abc,x=ignored").empty());
  CHECK(first_error("SCRAM-SHA-1", "n,,n=,r=abc") == "08P01");
  CHECK(first_error("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc") == "08P01");
  CHECK(first_error("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc") == "08P01");
  CHECK(first_error("SCRAM-SHA-256-PLUS", "n,,n=,r=abc", "hash") == "08P01");
  CHECK(first_error("SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=abc", "hash") == "08P01");
  CHECK(first_error("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc", "hash").empty());
  CHECK(first_error("SCRAM-SHA-256", "n,a=other,n=,r=abc") == "0A000");
  CHECK(first_error("SCRAM-SHA-256", "n,,m=ext,n=,r=abc") == "0A000");
}

TEST_CASE("malformed first messages are refused") {
  for (const Bytes message : {"", "n", "n,", "n,,", "n,,n=", "n,,n=,", "n,,n=,r=", "z,,n=,r=a",
                              "n,,r=a,n=", "n,,n=,r=a b", "n,,n=,r=\x7f"}) {
    INFO(message);
    CHECK(first_error("SCRAM-SHA-256", message) == "08P01");
  }
  CHECK(first_error("SCRAM-SHA-256", "n,,n=,r=a\0b"s) == "08P01");
  CHECK(first_error("SCRAM-SHA-256", "n,,n=,r=" + std::string(10'000, 'a')) == "08P01");
}

TEST_CASE("malformed final messages are refused") {
  const std::string nonce = kClientNonce + kServerNonce;
  const std::string proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
  const auto error = [](const std::string& message) {
    ScramServer server(pencil(), {}, kServerNonce);
    REQUIRE(server.first("SCRAM-SHA-256", kClientFirst));
    const auto result = server.final(message);
    return result ? std::string() : std::string(result.error().sqlstate);
  };
  CHECK(error("").size() == 5);
  CHECK(error("c=eSws,r=" + nonce + ",p=" + proof) == "08P01");  // 'y' now, 'n' before
  CHECK(error("c=biws,r=" + kClientNonce + ",p=" + proof) == "08P01");
  CHECK(error("c=biws,r=" + nonce) == "08P01");
  CHECK(error("c=biws,r=" + nonce + ",p=") == "08P01");
  CHECK(error("c=biws,r=" + nonce + ",p=AAAA") == "08P01");
  CHECK(error("c=biws,r=" + nonce + ",p=!!!!") == "08P01");
  CHECK(error("c=biws,r=" + nonce + ",x=ext,p=" + proof) ==
        "28P01");  // signed without the extension
  CHECK(error("c=biws,r=" + nonce + ",p=" + proof).empty());
}

TEST_CASE("a server that lies is noticed") {
  ScramKeyCache cache;
  ScramClient client(Secret("pencil"), {}, false, cache, kClientNonce);
  client.first("user");
  const std::string salt = ",s=W22ZaJ0SNY7soEsUEjb6gQ==";
  CHECK_FALSE(client.final("r=" + kClientNonce + salt + ",i=4096"));  // adds nothing
  CHECK_FALSE(client.final("r=somethingElse" + salt + ",i=4096"));
  CHECK_FALSE(client.final("r=" + kClientNonce + "x,s=,i=4096"));
  CHECK_FALSE(client.final("r=" + kClientNonce + "x" + salt + ",i=0"));
  CHECK_FALSE(client.final("r=" + kClientNonce + "x" + salt + ",i=-1"));
  CHECK_FALSE(client.final("r=" + kClientNonce + "x" + salt + ",i=2000000000"));
  CHECK_FALSE(client.final("e=other-error"));
  REQUIRE(client.final(kServerFirst));
  CHECK_FALSE(client.verify("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  CHECK_FALSE(client.verify("v="));
  CHECK_FALSE(client.verify("e=invalid-proof"));
  CHECK(client.verify(kServerFinal));
}

TEST_CASE("keys are derived once for the same password, salt and rounds") {
  ScramKeyCache cache;
  const auto first = cache.keys(Secret("pencil"), kSalt, 4096);
  CHECK(view(sha256(view(first.client_key))) == view(pencil().stored_key));
  CHECK(view(cache.keys(Secret("pencil"), kSalt, 4096).server_key) == view(first.server_key));
  CHECK(view(cache.keys(Secret("pencil"), kSalt, 4095).server_key) != view(first.server_key));
  CHECK(view(cache.keys(Secret("Pencil"), kSalt, 4096).server_key) != view(first.server_key));
}

TEST_CASE("passwords are prepared as Postgres prepares them") {
  const auto prepared = [](const std::string& raw) {
    return std::string(saslprep(Secret(raw)).reveal());
  };
  CHECK(prepared("pencil") == "pencil");
  CHECK(prepared("I\xc2\xadX") == "IX");  // soft hyphen: mapped to nothing
  CHECK(prepared("a\xc2\xa0"
                 "b") == "a b");               // no-break space
  CHECK(prepared("\xc2\xaa") == "a");          // NFKC
  CHECK(prepared("u\xcc\x88") == "\xc3\xbc");  // composed
  CHECK(prepared("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(prepared("\xff\xfe") == "\xff\xfe");          // not UTF-8: raw
  CHECK(prepared("\xd8\xa7\x31") == "\xd8\xa7\x31");  // prohibited bidi: raw
}

TEST_CASE("base64 is strict") {
  for (const Bytes text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    CHECK(base64_decode(base64_encode(text)) == std::string(text));
  }
  CHECK(base64_encode("foob") == "Zm9vYg==");
  for (const Bytes text : {"Zm9vYg", "Zm9vYg=", "Zm9vYh==", "Zm9v Yg==", "=", "====", "Zm9vY=g="}) {
    INFO(text);
    CHECK_FALSE(base64_decode(text));
  }
}

TEST_CASE("md5 passwords are hashed twice") {
  // Computed with: printf '%s' secretada | md5sum; printf '%sabcd' <that> | md5sum
  CHECK(md5_password(Secret("secret"), "ada", "abcd") == "md506e21122b2c0f4108f95d1329aea56d0");
}
