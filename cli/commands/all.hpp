// Every command's table, each defined in its own file here and listed in command_tree.cpp.
#pragma once

#include "cli/command.hpp"

namespace hyperdrive::cli {

extern const Command kCreate;
extern const Command kList;
extern const Command kGet;
extern const Command kUpdate;
extern const Command kDelete;
extern const Command kBind;
extern const Command kUnbind;
extern const Command kBindings;
extern const Command kDev;
extern const Command kStart;
extern const Command kStop;
extern const Command kRestart;
extern const Command kStatus;
extern const Command kLogs;
extern const Command kUrl;
extern const Command kEnv;
extern const Command kStats;
extern const Command kTop;
extern const Command kCachePurge;
extern const Command kCacheExplain;
extern const Command kTest;
extern const Command kDoctor;
extern const Command kPush;
extern const Command kPull;
extern const Command kDiff;
extern const Command kApi;
extern const Command kCertUploadCertificateAuthority;
extern const Command kCertUploadMtlsCertificate;
extern const Command kCertList;
extern const Command kCertDelete;
extern const Command kApply;
extern const Command kExport;
extern const Command kCompletions;
extern const Command kInit;
extern const Command kTemplates;
extern const Command kComplete;
extern const Command kDocs;

}  // namespace hyperdrive::cli
