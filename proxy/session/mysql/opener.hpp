// Opens origin connections for the pool, with the target of the options in force, as the kind that
// the last client asked for.
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "proxy/pool/pool.hpp"
#include "proxy/session/mysql/worker.hpp"

namespace hyperdrive::proxy::session::mysql {

class OriginOpener final : public pool::Opener {
 public:
  explicit OriginOpener(Service& service);
  ~OriginOpener() override;

  void open(std::size_t worker, Done done) override;

 private:
  using Attempts = std::list<std::unique_ptr<OriginLogin>>;
  void finished(Worker& worker, Attempts::iterator attempt);

  Service& service_;
  std::mutex mutex_;  // the list; an attempt itself belongs to its worker
  Attempts attempts_;
};

}  // namespace hyperdrive::proxy::session::mysql
