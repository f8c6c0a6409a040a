#include "proxy/cache/tier_protocol.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstring>

namespace hyperdrive::proxy::cache::tier {

namespace {

constexpr std::string_view kMagic = "hyperdrive answer 2\n";
constexpr std::size_t kSum = 16;  // hexadecimal digits, behind it

std::string digest(std::string_view text) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), hash, &size, EVP_sha256(), nullptr);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += kDigits[hash[i] >> 4];
    out += kDigits[hash[i] & 15];
  }
  return out;
}

/// Of an encoded answer: one that came to harm on its way is none.
std::string sum_of(std::string_view encoded) {
  return digest(encoded.substr(kMagic.size() + kSum)).substr(0, kSum);
}

std::string key(std::string_view space, char kind, std::string_view name) {
  std::string out = "hd:";
  out.append(space).append(1, ':').append(1, kind).append(1, ':').append(name);
  return out;
}

void put(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
}

void put(std::string& out, std::string_view text) {
  put(out, text.size());
  out += text;
}

/// Takes numbers and texts off the front; `ok` turns false at the first that is not there.
struct Reader {
  std::string_view rest;
  bool ok = true;

  std::uint64_t number() {
    if (rest.size() < 8) ok = false;
    if (!ok) return 0;
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(rest[i]);
    rest.remove_prefix(8);
    return value;
  }
  std::string_view text() {
    const std::uint64_t size = number();
    if (size > rest.size()) ok = false;
    if (!ok) return {};
    const std::string_view taken = rest.substr(0, size);
    rest.remove_prefix(size);
    return taken;
  }
};

}  // namespace

std::string space(std::string_view origin, std::string_view promise) {
  return digest(std::string(origin) + '\0' + std::string(promise)).substr(0, 20);
}

std::string epoch_key(std::string_view space, const Mark& mark) {
  return key(space, 'e', std::to_string(mark.id()));
}

std::string intents_key(std::string_view space, const Mark& mark) {
  return key(space, 'i', std::to_string(mark.id()));
}

std::string answer_key(std::string_view space, std::string_view whole) {
  return key(space, 'a', digest(whole));
}

const std::string_view kCheck = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local open, epochs = 0, {}
for n = 2, #KEYS, 2 do
  local epoch = redis.call('GET', KEYS[n])
  local lost = redis.call('ZREMRANGEBYSCORE', KEYS[n + 1], '-inf', now - 1)
  if not epoch or lost > 0 then
    epoch = ARGV[1] .. '.' .. n
    redis.call('SET', KEYS[n], epoch)
  end
  epochs[#epochs + 1] = epoch
  if redis.call('ZCARD', KEYS[n + 1]) > 0 then open = 1 end
end
local answer, left = false, 0
if open == 0 and ARGV[2] == '1' then
  answer = redis.call('GET', KEYS[1])
  left = redis.call('PTTL', KEYS[1])
end
return {open, table.concat(epochs, ','), answer, left})";

const std::string_view kAnnounce = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local old = {}
for n = 1, #KEYS, 2 do
  old[#old + 1] = redis.call('GET', KEYS[n]) or ''
  redis.call('SET', KEYS[n], ARGV[1] .. '.' .. n)
  redis.call('ZREMRANGEBYSCORE', KEYS[n + 1], '-inf', now - 1)
  redis.call('ZADD', KEYS[n + 1], now + ARGV[3], ARGV[2])
end
return table.concat(old, ','))";

const std::string_view kRenew = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for n = 1, #KEYS, 2 do
  redis.call('ZADD', KEYS[n + 1], now + ARGV[3], ARGV[2])
end
return 1)";

const std::string_view kSettle = R"(
local old = {}
for n = 1, #KEYS, 2 do
  old[#old + 1] = redis.call('GET', KEYS[n]) or ''
  if ARGV[3] == '1' then redis.call('SET', KEYS[n], ARGV[1] .. '.' .. n) end
  redis.call('ZREM', KEYS[n + 1], ARGV[2])
end
return table.concat(old, ','))";

std::string encode(const Answer& answer) {
  std::string out(kMagic);
  out.reserve(kMagic.size() + kSum + 64 + answer.key.size() + answer.epochs.size() +
              answer.head.size() + answer.tail.size() + answer.rows.size());
  out.append(kSum, '0');
  for (const std::string_view text :
       {answer.key, answer.epochs, answer.head, answer.tail, answer.rows}) {
    put(out, text);
  }
  put(out, answer.row_count);
  put(out, static_cast<std::uint64_t>(answer.cost.count()));
  put(out, static_cast<std::uint64_t>(answer.life.count()));
  out.replace(kMagic.size(), kSum, sum_of(out));
  return out;
}

std::optional<Answer> decode(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kSum || !bytes.starts_with(kMagic)) return std::nullopt;
  if (bytes.substr(kMagic.size(), kSum) != sum_of(bytes)) return std::nullopt;
  Reader reader{bytes.substr(kMagic.size() + kSum)};
  Answer answer;
  for (std::string_view* text :
       {&answer.key, &answer.epochs, &answer.head, &answer.tail, &answer.rows}) {
    *text = reader.text();
  }
  answer.row_count = reader.number();
  answer.cost = std::chrono::microseconds(reader.number());
  answer.life = std::chrono::milliseconds(reader.number());
  if (!reader.ok || !reader.rest.empty()) return std::nullopt;
  return answer;
}

}  // namespace hyperdrive::proxy::cache::tier
