"""Lists of images that exist already: tables, S3 Inventory, Storage Insights. Nothing is listed again."""
