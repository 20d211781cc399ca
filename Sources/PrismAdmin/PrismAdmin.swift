// PrismAdmin
