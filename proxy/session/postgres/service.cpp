#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/worker.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

std::string random_secret() {
  std::string bytes(32, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), 32) != 1) std::abort();
  return bytes;
}

}  // namespace

bool Service::cancel(std::uint32_t process_id, std::string_view key, std::function<void()> done) {
  const auto found = cancel_keys.find(process_id, key);
  if (!found) return false;
  Worker& target = *workers[*found];
  target.loop.post([&target, process_id, done = std::move(done)] {
    Client* client = target.find(process_id);
    if (client == nullptr || !client->cancel(done)) done();
  });
  return true;
}

void Service::pass_cancel(std::uint32_t process_id, std::string_view key) {
  if (!predecessor) return;
  std::string request;
  for (int shift = 24; shift >= 0; shift -= 8) {
    request += static_cast<char>(process_id >> shift & 0xff);
  }
  predecessor->cancel(request.append(key));
}

void Service::cancel_passed(std::string_view request) {
  constexpr std::size_t kProcessId = 4;
  if (request.size() < kProcessId) return;
  std::uint32_t process_id = 0;
  for (const char c : request.substr(0, kProcessId)) {
    process_id = process_id << 8 | static_cast<unsigned char>(c);
  }
  const std::string_view key = request.substr(kProcessId);
  if (!cancel(process_id, key, [] {})) pass_cancel(process_id, key);
}

std::optional<Profiles::Profile> Profiles::find(const SettingsRef& startup) {
  const std::lock_guard lock(mutex_);
  for (auto at = known_.begin(); at != known_.end(); ++at) {
    if (at->first != startup) continue;
    known_.splice(known_.begin(), known_, at);
    return at->second;
  }
  return std::nullopt;
}

void Profiles::learn(const SettingsRef& startup, const SettingsRef& reports) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& entry) { return entry.first == startup; });
  known_.emplace_front(startup, Profile{reports});
  if (known_.size() > kCapacity) known_.pop_back();
}

void Profiles::learn_baseline(const SettingsRef& reports) {
  const std::lock_guard lock(mutex_);
  if (baseline_ == reports) return;
  known_.clear();
  baseline_ = reports;
  known_.emplace_front(nullptr, Profile{reports});
}

void Profiles::clear() {
  const std::lock_guard lock(mutex_);
  known_.clear();
}

Service::Service(Telemetry& telemetry_in, OptionsRef options)
    : telemetry(telemetry_in), mock_secret(random_secret()), options_(std::move(options)) {}

OptionsRef Service::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void Service::set_options(OptionsRef options) {
  const std::lock_guard lock(mutex_);
  options_ = std::move(options);
}

void Service::note_termination(std::chrono::steady_clock::time_point now) {
  last_termination_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

bool Service::terminated_lately(std::chrono::steady_clock::time_point now) const {
  const auto last = last_termination_.load(std::memory_order_relaxed);
  if (last == 0) return false;
  const std::chrono::steady_clock::time_point then{std::chrono::steady_clock::duration(last)};
  return now < then + std::chrono::seconds(3);
}

OriginFacts Service::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

void Service::set_facts(OriginFacts facts) {
  const std::lock_guard lock(mutex_);
  facts_ = std::move(facts);
}

}  // namespace hyperdrive::proxy::session::postgres
