/// The two bodies of a mail, from the same words.
#pragma once

#include "actors/mailer.hpp"

#include <string>
#include <vector>

namespace binnacle {

struct mail_text {
  std::vector<std::string> before{}; // paragraphs of plain text
  std::string label{};               // of the link
  std::vector<std::string> after{};
};

/// Fills in text and html around the draft's link. Nothing of the words is markup.
void write_bodies(mail_draft&, const mail_text&);

} // namespace binnacle
