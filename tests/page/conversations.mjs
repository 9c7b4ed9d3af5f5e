// The ids of conversations by a page's code, and the prompts of conversations that are too long.

import { chatPrompt, encodeConversation } from "./text/conversation.js";
import { Tokenizer } from "./text/tokenizer.js";
import { question } from "./page_file.mjs";

const found = question.map(({ data, form, conversations, contextLength, maxTokens }) => {
  const tokenizer = new Tokenizer(data);
  return conversations.map((messages) => {
    let prompt;
    try {
      prompt = chatPrompt(form, tokenizer, messages, contextLength, maxTokens);
    } catch (error) {
      prompt = error.constructor.name;
    }
    return { ids: encodeConversation(form, tokenizer, messages), prompt };
  });
});
console.log(JSON.stringify(found));
