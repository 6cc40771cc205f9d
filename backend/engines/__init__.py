"""What produces the text of an answer. Every engine has the interface of `engine.Engine`."""
