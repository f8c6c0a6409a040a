// Commits whose end nobody saw: their intents stay open until the origin shows that it is over.
//
// It is over when the backend that ran the transaction is gone (what it did is then visible or will
// never be), or when the prepared transaction is no longer listed. Whether it committed does not
// matter then: the intent is settled as if it had.
#include <algorithm>
#include <utility>

#include "proxy/session/postgres/cache_keeper.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace {
constexpr std::chrono::milliseconds kPollPause{200};

constexpr std::string_view kStillThere =
    "SELECT pid::pg_catalog.text, COALESCE(backend_start::pg_catalog.text, '')"
    " FROM pg_catalog.pg_stat_get_activity(NULL);"
    "SELECT gid FROM pg_catalog.pg_prepared_xacts"
    " WHERE database = pg_catalog.current_database()";
}  // namespace

void CacheKeeper::outcome_unknown(cache::WriteIntent intent, std::uint32_t backend) {
  if (!running()) return intent.commit();
  auto shared = std::make_shared<Unsettled>();
  shared->intent = std::move(intent);
  shared->backend = std::to_string(backend);
  run([this, shared] { unsettled(std::move(*shared)); });
}

void CacheKeeper::prepared(cache::WriteIntent intent, std::string gid) {
  if (!running()) return intent.commit();
  auto shared = std::make_shared<Unsettled>();
  shared->intent = std::move(intent);
  shared->gid = std::move(gid);
  run([this, shared] { unsettled(std::move(*shared)); });
}

void CacheKeeper::unsettled(Unsettled unsettled) {
  unsettled_.push_back(std::move(unsettled));
  if (!outcome_timer_->armed()) poll_outcomes();
}

void CacheKeeper::poll_outcomes() {
  if (unsettled_.empty()) return;
  if (!asker_) {
    if (!asker_timer_->armed()) open_asker();
    return;
  }
  outcome_timer_->arm(kPollPause);
  // One question at a time: it may have to wait for a long reading of the catalogs.
  if (std::exchange(polling_, true)) return;
  living_.clear();
  prepared_.clear();
  const std::size_t asked = unsettled_.size();
  asker_->ask(
      std::string(kStillThere),
      [this](std::size_t result, SideConnection::Row row) {
        if (result == 0)
          living_.emplace_back(row[0].value_or(""), row[1].value_or(""));
        else
          prepared_.emplace_back(row[0].value_or(""));
      },
      [this, asked](core::Result<void> result) {
        polling_ = false;
        if (result) polled(asked);
      });
}

void CacheKeeper::polled(std::size_t asked) {
  std::vector<Unsettled> left;
  for (std::size_t i = 0; i < unsettled_.size(); ++i) {
    Unsettled& one = unsettled_[i];
    const auto backend = std::find_if(living_.begin(), living_.end(), [&](const auto& known) {
      return known.first == one.backend;
    });
    bool over = backend == living_.end();
    if (!over && one.backend_start.empty()) one.backend_start = backend->second;
    if (!over && backend->second != one.backend_start) over = true;
    if (!one.gid.empty()) {
      over = std::find(prepared_.begin(), prepared_.end(), one.gid) == prepared_.end();
    }
    // Who came after the question was asked is not in its answer.
    if (over && i < asked) {
      // What it wrote was found by catalogs that may be old by now.
      one.intent.add_everything();
      one.intent.commit();
    } else {
      left.push_back(std::move(one));
    }
  }
  // One of them may have changed the schema.
  if (left.size() < unsettled_.size()) look();
  unsettled_ = std::move(left);
  if (unsettled_.empty()) outcome_timer_->disarm();
}

}  // namespace hyperdrive::proxy::session::postgres
